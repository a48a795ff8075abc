"""The same words in other languages: the commonest verbs of demands and the openings of questions.

German, French, Spanish, Portuguese, Italian, Russian, Arabic; Chinese and Japanese, which write no spaces, by what a
text contains.
"""

from __future__ import annotations

import re
from typing import Final

from daemon.routing.complexity import signals
from daemon.routing.complexity.words import each

__all__ = [
    "ANYWHERE_ABROAD",
    "BEFORE_DEMANDS_ABROAD",
    "DEMANDS_ABROAD",
    "LETTERS_UNSPACED",
    "OPENINGS_ABROAD",
    "UNSPACED",
    "UNSPACED_PATTERN",
]

DEMANDS_ABROAD: Final = each(
    {
        signals.PROOF: "beweise beweisen zeige démontre démontrer prouve montre demuestra demostrar prueba prove"
        " demonstre dimostra докажи докажите выведи",
        signals.DESIGN: "entwirf entwerfen entwickle konzipiere gestalte conçois concevoir concevez élabore diseña"
        " diseñar desarrolla projete desenvolva progetta sviluppa спроектируй разработай propón propose proponha"
        " schlage",
        signals.ANALYSIS: "analysiere analysieren bewerte beurteile untersuche wäge begründe analyser analysez évalue"
        " évaluez examine justifie analiza analizar evalúa justifica analise avalie justifique analizza valuta"
        " проанализируй оцени schätze conclus",
        signals.DEBUGGING: "debugge diagnostiziere diagnostique depura diagnostica",
        signals.OPTIMIZATION: "optimiere optimise optimiza otimize ottimizza refaktoriere migriere",
        signals.REVIEW: "prüfe überprüfe vérifie revisa revise verifica проверь",
        signals.COMPARISON: "vergleiche vergleichen comparer comparez compara comparar confronta сравни",
        signals.CAUSE: "warum weshalb wieso pourquoi perché почему",
        signals.EXPLANATION: "erkläre erklären beschreibe explique expliquez décris explica explicar describe"
        " descreva spiega descrivi объясни опиши",
        signals.MAKING: "schreibe schreib erstelle verfasse plane écris rédige rédigez crée escribe escribir redacta"
        " crea escreva crie scrivi напиши составь",
        signals.SUMMARY: "fasse résume résumez resume resuma riassumi",
        signals.CALCULATION: "berechne löse calcule résous calcula resuelve calcola risolvi вычисли реши",
        signals.LABEL: "klassifiziere classe classifie clasifica classifique classifica",
        signals.EXTRACTION: "nenne liste extrahiere finde cite énumère extrais lista extrae enumera nombra extraia"
        " estrai elenca назови",
        signals.TRANSLATION: "übersetze traduis traduisez traduce traduza traduz traduci переведи ترجم",
        signals.FORM: "korrigiere formatiere kürze corrige convertis reformule corregir convierte corrija correggi"
        " исправь",
    }
)
OPENINGS_ABROAD: Final = each(
    {
        signals.QUESTION: "was wer wo wann welche welcher welches wie quelle quel quels qui quand où combien qué"
        " quién cuándo dónde cuál cuántos cuántas cuánto ¿qué ¿quién ¿cuándo ¿dónde ¿cuál ¿cuántos ¿cuántas ¿cuánto"
        " qual quem quando onde quanti dove chi что кто где когда какая ما من متى أين",
        signals.YES_OR_NO: "ist sind hat kann est-ce ce es",
    }
)
ANYWHERE_ABROAD: Final = each(
    {
        signals.LARGE_WORK: "architektur strategie konzept modell stratégie protocole arquitectura estrategia"
        " arquitetura estratégia architettura strategia архитектуру",
        signals.HARD_SUBJECT: "folgen konflikte ausfällt kompromiss risiken hysterese conséquences dépendances"
        " riesgos consecuencias tolerancia fallos conciliación riscos estratégias paradoxe",
        signals.MATHEMATICS: "wurzel irrational bornée convergente suite grafo vertice planare ряда число",
        signals.CONDITIONS: "muss müssen ohne sans doit sin sem senza",
    }
)
BEFORE_DEMANDS_ABROAD: Final = frozenset(["bitte", "und", "dann", "et", "puis", "y", "e", "luego", "и"])

UNSPACED: Final = each(
    {
        signals.PROOF: "证明 證明",
        signals.DESIGN: "设计 設計",
        signals.ANALYSIS: "分析 评估 評估 讨论 議論",
        signals.DEBUGGING: "排查 调试 デバッグ 原因",
        signals.WEIGHING: "取舍 权衡 トレードオフ",
        signals.OPTIMIZATION: "优化 最適化 重构 移行",
        signals.COMPARISON: "比较 比較 对比",
        signals.CAUSE: "为什么 なぜ",
        signals.EXPLANATION: "解释 说明 説明 介绍",
        signals.MAKING: "写一 编写 書いて 作成",
        signals.SUMMARY: "总结 概括 要約",
        signals.LABEL: "还是负面 分类 分類",
        signals.EXTRACTION: "列出 提取 抽出",
        signals.TRANSLATION: "翻译 翻訳 訳して",
        signals.QUESTION: "哪里 多少 是谁 什么时候 どこ いくつ",
    }
)
UNSPACED_PATTERN: Final = re.compile("|".join(UNSPACED))
LETTERS_UNSPACED: Final = re.compile("[\u3040-\u30ff\u4e00-\u9fff]+")
