print("icnn")
