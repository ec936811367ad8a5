r"""Ordered passages: documents whose passages follow each other, for lanes that learn what comes next.

```
prose.py, documentation.py   stories.py     sources: read, refuse, clean
                 \            /
           copies.py, preparation.py        take out copies, split, write, digest, check the pin and the splits
                        |
                   prepared.py              lazy reader: documents of a split as lists of passages
```
"""
