# fish completion of fairlead. It asks fairlead what may stand next.
function __fairlead_complete
    set -l words (commandline -opc)
    set -l begun (commandline -ct)
    for line in ($words[1] complete -- $words[2..] "$begun" 2>/dev/null)
        if string match -q ':files*' -- $line
            __fish_complete_path (string replace -r '^--[^=]*=' '' -- "$begun")
        else
            echo $line
        end
    end
end
complete -c fairlead -f -a '(__fairlead_complete)'
