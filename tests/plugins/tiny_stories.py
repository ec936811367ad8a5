"""Stories in which the next passage follows from the last one, small enough for tests."""

import csv
import random
from pathlib import Path

SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "or", "il")]


def write_stories(folder: Path, *, topics: int = 6, seed: int = 0) -> None:
    """Three CSV files of stories that walk round a ring of topics, a passage of invented words for each."""
    rng = random.Random(seed)
    words = [["".join(rng.choices(SYLLABLES, k=3)) for _ in range(25)] for _ in range(topics)]
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in (("train", 24), ("val", 6), ("test", 8)):
        rows = []
        for story in range(count):
            start = rng.randrange(topics)
            for place in range(rng.randint(5, 14)):
                text = " ".join(rng.choices(words[(start + place) % topics], k=12)) + "."
                rows.append((f"{split}-{story:02d}", text))
        with (folder / f"{split}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("document_id", "text"), *rows])
