"""Projections that heal themselves: an owner hands out its states, and who holds a projection of them compares."""
