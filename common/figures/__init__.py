"""Plots, and arcs of connections drawn over words."""
