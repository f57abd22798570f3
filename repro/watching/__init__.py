"""The inner loop of learning: run the current gate again whenever a file is saved, in a fork of a warm parent."""
