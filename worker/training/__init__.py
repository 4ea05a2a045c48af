"""Training: keyed randomness, Poisson sampling, and the engines that train."""
