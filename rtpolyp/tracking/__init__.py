"""What was true a moment ago: temporal smoothing."""
