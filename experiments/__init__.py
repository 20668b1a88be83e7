"""One command per table and figure of the paper; results/ holds what they measured."""
