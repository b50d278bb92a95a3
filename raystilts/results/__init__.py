"""What is kept: one immutable Parquet file per attempt at a stage, and tables read from them."""
