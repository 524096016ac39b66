/**
 * Beam's job server, which sends no jars to the cluster.
 *
 * It would send all of its class path with every job, 162 jars, and every TaskManager would fetch
 * them: most of a job's start. The cluster has them on its own class path (flink.sh). What is sent is
 * what this property names; the classes themselves are found by what it was when Java started.
 */
class JobServer {
  public static void main(String[] arguments) throws Exception {
    System.setProperty("java.class.path", "");
    org.apache.beam.runners.flink.FlinkJobServerDriver.main(arguments);
  }
}
