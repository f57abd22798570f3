"""The files of a new paper: templates beside this module, filled with what is known of the paper and of its type."""
