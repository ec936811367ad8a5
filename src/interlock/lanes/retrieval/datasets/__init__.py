r"""Retrieval datasets: three sources, one prepared folder.

```
docstrings.py   beir.py   npz.py      sources: read, refuse, deduplicate, split
           \       |       /
       preparation.py, writer.py      stream to Parquet, digest, check the pin and the splits, write the card last
                   |
              prepared.py             lazy reader for training and evaluation
```
"""
