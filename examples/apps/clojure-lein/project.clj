(defproject hello "1.0.0"
  :description "The smallest Clojure app: the JDK's own HTTP server"
  :dependencies [[org.clojure/clojure "1.11.4"]]
  :main hello.core
  :aot [hello.core]
  :target-path "target")
