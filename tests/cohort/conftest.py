from cohort_fixtures import brains, done, finished_run, inputs, no_pages, undisturbed

__all__ = ["brains", "done", "finished_run", "inputs", "no_pages", "undisturbed"]
