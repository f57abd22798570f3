"""The session page: one step of a paper, from its goal and the person's code to questions and likely bugs."""
