"""The Streamlit app. Only this package imports streamlit; it holds no maths."""
