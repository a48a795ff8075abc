"""How well the heuristic classifier tells what model a request needs, beside keyword lists, luck and the best model."""
