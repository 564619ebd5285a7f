"""A page to which one drags a picture or a clip, and gets the overlay back."""
