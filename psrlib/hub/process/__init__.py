"""The hub as a process of its own: started, found, stopped, saved."""
