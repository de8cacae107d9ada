// Command small-mcp is as little as an image can be made of.
package main

func main() {}
