"""What is concluded from scores: gains, P(best), sets of ties, on plain numpy tables."""
