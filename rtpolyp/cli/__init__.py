"""The commands of `rtpolyp`, one file each."""
