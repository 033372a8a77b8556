"""Picture files, and files and folders of many pictures, read one picture at a time."""
