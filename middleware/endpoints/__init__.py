"""What the middleware answers itself, one module a family.
Named in the table of `middleware.routes`; each function takes the context and the request.
"""
