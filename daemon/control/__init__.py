"""The control face: what operators and the command line ask, and what callers report, under `/fairlead/v1/`."""
