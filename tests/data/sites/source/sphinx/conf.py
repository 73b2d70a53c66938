"""Sphinx, with the theme that it comes with."""

project = "Small site"
html_theme = "alabaster"
