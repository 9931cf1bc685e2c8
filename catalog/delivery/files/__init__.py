"""Packages of files for recipients (文件交付, 回流): made of a grant's view, put into a folder of theirs and told.

Belongs here: what a package is made of and how it comes to a store. Does not belong here: which rows it may hold (the
policy's views), file formats of downloads, how stores are reached (`pipelines.connectors.stores`).
"""
