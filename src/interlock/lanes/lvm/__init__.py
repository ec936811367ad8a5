"""The lane `lvm`: from the vectors of a document's passages so far, predict the vector of the next one."""
