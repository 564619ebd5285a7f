"""Does a recipe travel? Training on all hospitals but one, judged on that one."""
