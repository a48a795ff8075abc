"""What English words say of a request, by where they may stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from daemon.routing.complexity import signals
from daemon.routing.complexity.signals import Signal

__all__ = [
    "ANYWHERE",
    "ANYWHERE_WORDS",
    "BEFORE_DEMANDS",
    "DEMANDS",
    "DEMAND_WORDS",
    "OPENINGS",
    "OPENING_WORDS",
    "PAIRS",
    "QUANTITIES",
    "each",
]


def each(words: Mapping[Signal, str]) -> dict[str, Signal]:
    """Return the signal of each word, from the words of each signal."""
    return {word: signal for signal, text in words.items() for word in text.split()}


_HARD_SUBJECTS: Final = (
    # systems and security
    "distributed consensus concurrent concurrency lock-free invariant invariants downtime zero-downtime idempotent"
    " idempotency consistency replicas replication quorum failover sharding partitions partitioning latency throughput"
    " raft paxos microservices monolith linearizable serializability backpressure multi-tenant multi-region scalability"
    " fault-tolerant event-sourced event-driven exactly-once mutex atomics rollback vulnerability vulnerabilities"
    " side-channel zero-knowledge cryptographic adversary adversarial threat verifiable guarantee guaranteed"
    " correctness"
    # statistics and mathematics
    " asymptotically bayesian causal counterfactual hypothesis hypotheses confounding confounders bias biases"
    " estimator identification endogeneity imputation posterior stochastic markov martingale convex nonlinear np-hard"
    " np-complete combinatorial manifold topology isomorphism homomorphism"
    # the sciences and medicine
    " thermodynamics quantum hamiltonian lagrangian relativistic symplectic dispersion differential prognosis"
    " contraindications comorbidities aetiology etiology"
    # law, money and policy
    " liability liable jurisdiction regulation regulatory gdpr compliance enforceable lawful antitrust fiduciary"
    " indemnity incentives hedge hedging valuation dilution volatility arbitrage liquidity equilibrium preference churn"
    " externalities geopolitical stakeholders"
    # judgement
    " assumptions objection objections evidence plausible plausibly mechanisms implications consequences ambiguity"
    " premises feasibility fairness determinism epistemic dilemma"
)

DEMAND_WORDS: Final[Mapping[Signal, str]] = {
    signals.PROOF: "prove disprove derive deduce",
    signals.DESIGN: "design architect devise invent formulate develop redesign redraft propose construct"
    " reconstruct localise localize",
    signals.ANALYSIS: "analyze analyse evaluate assess critique examine appraise argue justify reconcile"
    " distinguish quantify estimate enumerate bound interpret weigh conclude",
    signals.DEBUGGING: "debug diagnose troubleshoot investigate",
    signals.OPTIMIZATION: "optimize optimise refactor minimize minimise maximize maximise scale shard migrate"
    " parallelize generalize harden",
    signals.REVIEW: "review audit referee criticize verify",
    signals.COMPARISON: "compare contrast rank",
    signals.CAUSE: "why",
    signals.EXPLANATION: "explain describe outline discuss teach sketch illustrate",
    signals.MAKING: "write create implement draft build generate compose make plan prepare schedule suggest"
    " recommend produce organize clean",
    signals.SUMMARY: "summarize summarise condense",
    signals.CALCULATION: "solve compute integrate differentiate simulate",
    signals.LABEL: "classify label tag categorize categorise rate route spam sentiment",
    signals.EXTRACTION: "extract list name find pull return get count pick identify",
    signals.TRANSLATION: "translate",
    signals.FORM: "convert format uppercase lowercase round sort rename replace shorten correct capitalize spell"
    " rephrase swap balance",
    signals.CHANGE: "rewrite fix turn put add simplify remove",
}
DEMANDS: Final = each(DEMAND_WORDS)
"""Verbs that say something where they begin a demand: `design a …`, not `the design of …`."""

OPENING_WORDS: Final[Mapping[Signal, str]] = {
    signals.QUESTION: "what what's whats who who's when where which whose define capital tell",
    signals.YES_OR_NO: "is are does do was were did has have can yes",
    signals.HOW_TO: "how",
    signals.SMALL_TALK: "hi hello hey thanks thank good hallo bonjour hola ok okay",
}
OPENINGS: Final = each(OPENING_WORDS)
"""Words that say something as the first of all."""

QUANTITIES: Final = frozenset(["many", "much", "long", "tall", "old", "far", "high", "big", "often", "late"])
"""Words that make a fact of `how`."""

ANYWHERE_WORDS: Final[Mapping[Signal, str]] = {
    signals.WEIGHING: "trade-off trade-offs tradeoff tradeoffs versus vs",
    signals.PROOF: "counterexample lemma",
    signals.DEBUGGING: "deadlock deadlocks segfault segfaults leaks flaky intermittently intermittent overflows"
    " race races",
    signals.SYMPTOM: "fails failing crashes hangs stuck sometimes randomly forever timeouts drift drifts differs"
    " wrong broken corrupted spikes inconsistent",
    signals.LARGE_WORK: "architecture strategy proposal chapter novel protocol essay thesis roadmap whitepaper"
    " curriculum framework compiler parser scheme algorithm syllabus manifesto specification playbook",
    signals.HARD_SUBJECT: _HARD_SUBJECTS,
    signals.MATHEMATICS: "theorem integral polynomial matrix matrices prime primes finite infinitely infinite"
    " continuous converge converges convergent convergence irrational subgroup monotonicity eigenvalues"
    " eigenvectors probability equation modulo bijection graph variance minimal optimal fewest worst-case tight"
    " congruent integers divisible",
    signals.CONDITIONS: "must without unless constraint constraints ensure provided cannot never",
    signals.PROGRAM: "function class script query regex component workflow module dockerfile tests endpoint api sql",
    signals.BRIEF: "briefly one-line two-line one-word tl;dr",
    signals.WORD: "synonym plural abbreviation grammar spelling opposite pronounce tense rhymes acronym",
}
ANYWHERE: Final = each(ANYWHERE_WORDS)
"""Words that say something wherever they stand in what is asked, the material aside."""

PAIRS: Final[Mapping[str, Mapping[str, Signal]]] = {
    "root": {"cause": signals.DEBUGGING},
    "stack": {"overflow": signals.DEBUGGING, "overflows": signals.DEBUGGING},
    "memory": {"leak": signals.DEBUGGING},
    "show": {"that": signals.PROOF},
    "explain": {"why": signals.CAUSE},
    "pros": {"and": signals.WEIGHING},
    "should": {"we": signals.DECISION, "i": signals.DECISION},
    "how": {"would": signals.ANALYSIS, "should": signals.DECISION, "does": signals.EXPLANATION},
    "what": {"if": signals.ANALYSIS, "could": signals.ANALYSIS, "happens": signals.EXPLANATION},
    "work": {"out": signals.ANALYSIS, "through": signals.ANALYSIS},
    "find": {"out": signals.DEBUGGING, "every": signals.REVIEW},
    "me": {"about": signals.EXPLANATION},
    "difference": {"between": signals.EXPLANATION},
    "at": {"most": signals.CONDITIONS, "least": signals.CONDITIONS},
    "no": {"more": signals.CONDITIONS},
    "business": {"plan": signals.LARGE_WORK},
    "recovery": {"plan": signals.LARGE_WORK},
    "migration": {"plan": signals.LARGE_WORK},
    "one": {"word": signals.BRIEF, "sentence": signals.BRIEF, "line": signals.BRIEF},
    "two": {"words": signals.BRIEF, "sentences": signals.BRIEF, "lines": signals.BRIEF},
    "only": {"the": signals.BRIEF},
}
"""Two words that say together what neither says alone; they win over the first word's own sense."""

BEFORE_DEMANDS: Final = frozenset(
    [
        "and",
        "then",
        "to",
        "please",
        "also",
        "or",
        "but",
        "you",
        "me",
        "i",
        "we",
        "they",
        "let's",
        "lets",
        "should",
        "would",
        "could",
        "can",
        "must",
        "first",
        "finally",
        "next",
        "now",
        "just",
        "help",
        "critically",
        "carefully",
        "thoroughly",
    ]
)
"""Words after which a verb is a demand."""
