"""Storages, and the S3 server with faults that other tests use too."""
