"""Privacy: what a training costs and how much noise it needs."""
