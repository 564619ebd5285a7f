"""Many videos on many machines: chunks of videos through engines on Ray, into Parquet tables."""
