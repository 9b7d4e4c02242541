"""Solvers: linear and symmetric diffeomorphic registration, written once over the backend interface."""
