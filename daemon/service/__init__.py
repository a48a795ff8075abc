"""The daemon as a service of systemd: what it is handed, and what it says."""
