from cohort_fixtures import brains, finished_run, inputs, undisturbed

__all__ = ["brains", "finished_run", "inputs", "undisturbed"]
