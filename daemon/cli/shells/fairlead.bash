# bash completion of fairlead. It asks fairlead what may stand next.
_fairlead() {
    local line=${COMP_LINE:0:COMP_POINT} word meaning
    local -a words
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    local begun=${words[${#words[@]} - 1]}
    # bash replaces only what stands behind the last of these; what stands before it is not given again.
    local kept=""
    [[ $COMP_WORDBREAKS == *:* && $begun == *:* ]] && kept=${begun%"${begun##*:}"}
    [[ $COMP_WORDBREAKS == *=* && $begun == *=* ]] && kept=${begun%"${begun##*[=:]}"}
    COMPREPLY=()
    while IFS=$'\t' read -r word meaning; do
        if [[ $word == :files ]]; then
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "${begun#*=}")
            return
        fi
        COMPREPLY+=("${word#"$kept"}")
    done < <("${words[0]}" complete -- "${words[@]:1}" 2>/dev/null)
}
complete -F _fairlead fairlead
