"""The parts of `repro.report.collect`, each read from the files of a run folder; none needs torch or pandas."""
