"""Words hidden in a sentence, guessed from both sides."""
