"""A site with one page for each way in which bytes go in and out."""
