"""Triage: a cheap workload is asked how hard a request is, within bounds; a rule decides where it does not say."""
