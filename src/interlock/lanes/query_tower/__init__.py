"""Query tower: one encoder for queries and passages, trained by contrast, judged by R@k and Echo-Loop."""
