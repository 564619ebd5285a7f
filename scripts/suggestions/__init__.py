"""The experiment of `scripts/score_suggestions.py`: suggested frames against as many random ones."""
