"""Who may do what: whom the kernel or a key vouches for, which role that gives, and what is refused before any face."""
