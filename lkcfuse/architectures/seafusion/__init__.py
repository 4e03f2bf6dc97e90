"""SeAFusion: two streams of gradient blocks and a plain decoder (Tang, Yuan and Ma, 2022)."""
