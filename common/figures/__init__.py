"""Pictures, and connections drawn over words."""
