"""The words that say what a prompt is about, by the sign that they are of: data, read once."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["BY_FIRST_WORD", "IDEOGRAMS", "LIGHT", "POLITE"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


POLITE: Final = _words(
    "please can could would you kindly hi hello hey ok okay i need want to me help bitte por favor thanks"
)
"""Words before the verb that says what is to be done."""
LIGHT: Final = _words(
    "translate classify extract label tag spell capitalize capitalise convert format sort count list name define "
    "reformat uppercase lowercase correct paraphrase rephrase rewrite shorten identify detect categorize categorise "
    "alphabetize pick fill transcribe proofread give return parse pull remove replace what's who when where is does "
    "which yes what are übersetze nenne korrigiere formuliere klassifiziere was wer wann wo traduis traduisez corrige "
    "quelle quel qui traduce traduzca cuál quién cuándo lista extrae clasifica reformule"
)
"""First words of work that is done upon what follows, or asks for a fact: what follows is not instruction."""

_SIGNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "design": "design|designing|architect|architecture|architectures|roadmap|strategy|rollout|migrate|migration|"
        "migrating|plan|redesign|re architect|entwirf|entwerfe|entwerfen|konzipiere|architektur|conçois|concevoir|"
        "concevez|propose une architecture|diseña|diseñar|arquitectura|refactor|blueprint|threat model|business case",
        "reasoning": "analyze|analyse|compare|versus|vs|evaluate|assess|critique|justify|weigh|argue|implications|"
        "explain why|why does|why do|why did|why is|why would|why might|root cause|reason about|diagnose|steelman|"
        "analysiere|vergleiche|bewerte|begründe|erkläre warum|analyse|comparez|évaluez|évalue|justifie|analiza|compara|"
        "evalúa|justifica|review|audit|optimize|optimise|reconcile|prioritize|infer|predict|counterarguments|"
        "strongest|weaknesses|interpret|estimate|investigate|recommend|rank|propose",
        "trade-offs": "trade offs|trade off|tradeoffs|tradeoff|pros and cons|failure modes|edge cases|second order|"
        "worst case|abwägung|abwägungen|vor und nachteile|avantages et inconvénients|compromis|ventajas y desventajas|"
        "compromisos|counterexample|risks|risiken|risques|riesgos",
        "systems": "distributed|microservice|microservices|monolith|multi tenant|multitenant|sharding|sharded|shard|"
        "consistency|concurrent|concurrency|concurrently|deadlock|deadlocks|race|races|lock free|zero downtime|"
        "failover|exactly once|idempotent|idempotency|consensus|raft|paxos|crdt|kubernetes|scalable|fault tolerant|"
        "event sourcing|event driven|replication|partition|partitions|linearizable|serializable|snapshot isolation|"
        "compiler|allocator|garbage collector|scheduler|kernel|thread safe|backpressure|multi region|oauth|"
        "rate limiter|pipeline|legacy|verteiltes|verteilte|verteilten|mandantenfähige|distribué|distribuée|"
        "distribuido|distribuida|microservicios|high availability|disaster recovery|"
        "encryption|cryptographic|protocol|throughput|p99",
        "proof": "prove|proof|derive|derivation|show that|theorem|lemma|induction|np hard|np complete|asymptotic|"
        "irrational|converges|convergence|beweise|beweis|zeige dass|démontre|démontrer|démontrez|prouve|demuestra|"
        "demostrar|lower bound|upper bound|invariant|undecidable|halting|bijection|isomorphic|expected number|"
        "expected value|optimal|knights|knaves|probability|stationary distribution|eigenvalues|minimum number|"
        "weighings|posterior|closed form|recurrence|generating function|nash equilibrium|counterfactual",
        "debugging": "debug|bug|bugs|stack overflows|segfault|segfaults|memory leak|leak|leaks|crashes|crash|hangs|"
        "intermittent|intermittently|flaky|sometimes|fails|failing|wrong|broken|heisenbug|corrupts|corruption|oom|"
        "sporadisch|gelegentlich|plante|fuite mémoire|falla|a veces|error",
        "expert matter": "contract|clause|clauses|liability|indemnification|gdpr|dsgvo|rgpd|hipaa|statute|jurisdiction|"
        "negligence|tort|precedent|fiduciary|lawsuit|plaintiff|defendant|diagnosis|differential|contraindications|"
        "interactions|comorbidities|symptoms|patient|chronic|ckd|valuation|dcf|antitrust|patent|merger|acquisition|"
        "tax|compliance|regulatory|clinical|sepsis|warfarin|vertrag|haftung|kündigung|patientin|contrat|"
        "responsabilité|licenciement|contrato|responsabilidad|paciente|trial|causal|confounders|p value|hedge",
        "breadth": "end to end|comprehensive|in depth|from scratch|production ready|production grade|step by step|"
        "detailed|thorough|thoroughly|full|fully|complete|entire|business plan|multi step|several|across|whole|"
        "ausführlich|schritt für schritt|détaillé|complet|detallado|completo",
        "constraint": "must|constraint|constraints|without|at least|at most|while|subject to|budget|guarantee|"
        "guarantees|considering|given that|assuming|never|cannot|within|but|unless|only|muss|ohne|sans|doit|sin|debe|"
        "survive|handle|handles|handling|support|supports|including|under",
        "code": "code|function|script|regex|sql|python|javascript|typescript|java|rust|golang|endpoint|class|unit test|"
        "unit tests|tests|bash|dockerfile|component|react|api|algorithm|implement|program|implementation|method|"
        "decorator|query|cli|css|html|yaml|schema|parser|funktion|skript|fonction|función|programm|programme|programa",
        "writing": "write|draft|compose|create|generate|implement|build|schreibe|schreib|verfasse|erstelle|rédige|"
        "rédigez|écris|écrivez|escribe|redacta|crea|add|make|develop|prepare|erstell|produce",
        "explaining": "explain|describe|summarize|summarise|summary|outline|suggest|how does|how do|how can|how should|"
        "difference|differences|teach|walk me|fasse|zusammenfassung|erkläre|erklär|beschreibe|wie funktioniert|"
        "résume|résumez|explique|expliquez|décris|comment fonctionne|resume|explica|describe|cómo funciona|advice|"
        "ideas|brainstorm|tips|should i|calculate|solve|berechne|calcule|calcula|bullet points|action items",
    }
)
IDEOGRAMS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "design": ("设计", "架构", "规划", "方案", "迁移"),
        "reasoning": ("分析", "比较", "评估", "为什么", "论证", "优化"),
        "trade-offs": ("权衡", "优缺点", "利弊", "风险"),
        "systems": ("分布式", "微服务", "并发", "一致性", "高可用", "死锁"),
        "proof": ("证明", "推导"),
        "debugging": ("调试", "内存泄漏", "崩溃"),
        "expert matter": ("合同", "法律", "诊断", "患者", "条款"),
        "code": ("代码", "函数", "脚本", "程序"),
        "writing": ("写一", "编写", "起草", "实现"),
        "explaining": ("解释", "总结", "介绍", "说明", "如何"),
    }
)
"""The same signs where words have no spaces between them."""


def _by_first_word() -> dict[str, tuple[tuple[str, str], ...]]:
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for sign, phrases in _SIGNS.items():
        for phrase in phrases.split("|"):
            first = phrase.partition(" ")[0]
            found[first] = (*found.get(first, ()), (sign, "" if phrase == first else f" {phrase} "))
    return found


BY_FIRST_WORD: Final[Mapping[str, tuple[tuple[str, str], ...]]] = MappingProxyType(_by_first_word())
"""By a phrase's first word: its sign, and the phrase between spaces, empty where the word says it alone."""
