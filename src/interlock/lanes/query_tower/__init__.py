"""Query tower: one encoder for queries and passages, trained by contrast, searched exactly, judged by R@k and Echo-Loop."""
