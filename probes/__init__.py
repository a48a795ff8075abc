"""The eyes: how to speak to a provider and read what its answer means, for the prober and for live traffic."""
