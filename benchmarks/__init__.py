"""Speed of our layers and networks beside those that a user would pick instead."""
