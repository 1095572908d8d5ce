<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger\Tests;

use Amqp1\SymfonyMessenger\Options;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ProgramBroker;
use PHPUnit\Framework\TestCase;

/** What docs/symfony-messenger.md and the README show: configurations load, code runs, and the table has every option. The demo works. */
final class DocsTest extends TestCase
{
    private const TOP = __DIR__ . '/../../..';

    private string $folder;

    protected function setUp(): void
    {
        $this->folder = sys_get_temp_dir() . '/amqp1-docs-' . bin2hex(random_bytes(5));
        mkdir($this->folder);
    }

    protected function tearDown(): void
    {
        exec('rm -rf ' . escapeshellarg($this->folder));
    }

    public function testTheConfigurationsLoadAndTheCodeRuns(): void
    {
        $page = (string) file_get_contents(self::TOP . '/docs/symfony-messenger.md');
        preg_match_all('~^```yaml\n(# config/(\S+)\n.*?)^```~ms', $page, $yaml, PREG_SET_ORDER);
        self::assertSame(['services.yaml', 'packages/messenger.yaml', 'packages/messenger.yaml'], array_column($yaml, 2));
        preg_match_all('~^```php\n(.*?)^```~ms', $page, $php);
        self::assertCount(1, $php[1]);
        foreach ($yaml as $i => [, $text]) {
            file_put_contents("$this->folder/$i.yaml", $text);
        }
        file_put_contents("$this->folder/message.php", '<?php namespace App\Message; class ProcessOrder { public function __construct(public int $id) {} }');
        $output = Child::run(
            'require $argv[2] . "/message.php";'
            . 'require $argv[1] . "/bootstrap.php"; error_reporting(E_ALL & ~E_DEPRECATED & ~E_USER_DEPRECATED); putenv("APP_VAR=$argv[2]");'
            . '$_SERVER["MESSENGER_TRANSPORT_DSN"] = "embedded://docs";'
            . '$kernel = new Amqp1\SymfonyMessenger\Tests\App\DocKernel("prod", false); $kernel->boot();'
            . '$application = new Symfony\Bundle\FrameworkBundle\Console\Application($kernel); $application->setAutoExit(false);'
            . 'echo $application->run(new Symfony\Component\Console\Input\StringInput("messenger:setup-transports --quiet"));'
            . '$bus = $kernel->getContainer()->get("docs.bus"); require $argv[2] . "/block.php";'
            . 'echo (new Amqp1\AmqpQueue("embedded://docs", "orders"))->stats()["delayed"];',
            [__DIR__, $this->block("use App\\Message\\ProcessOrder;\n" . $php[1][0])]
        );

        self::assertSame('01', $output);
    }

    /** Writes the block and returns the folder. */
    private function block(string $code): string
    {
        file_put_contents("$this->folder/block.php", "<?php\n$code");

        return $this->folder;
    }

    public function testTheTableHasEveryOption(): void
    {
        $page = (string) file_get_contents(self::TOP . '/docs/symfony-messenger.md');
        $section = strstr((string) strstr($page, "\n## Options\n"), "\nAll others", true);
        preg_match_all('/^\| `(\w+)` \|/m', (string) $section, $names);
        sort($names[1]);

        self::assertSame(array_values(array_diff(Options::TRANSPORT, ['transport_name'])), $names[1]);
    }

    public function testTheDemoWorks(): void
    {
        foreach ([ProgramBroker::start(), ProgramBroker::serviceBus()] as $i => $broker) {
            $environment = ['APP_VAR' => "$this->folder/$i", 'AMQP1_DSN' => $i === 0 ? $broker->dsn : $broker->connectionString()];
            mkdir($environment['APP_VAR']);
            foreach (['prepare' => '[OK]', 'producer' => 'order 1010', 'worker' => 'order 1006: 63.00 charged'] as $part => $text) {
                $child = Child::command([self::TOP . '/demo/symfony/run', $part], $environment);
                self::assertSame(0, $child->wait(60), $child->output());
                self::assertStringContainsString($text, $child->output());
            }
            self::assertSame(10, substr_count($child->output(), 'charged'));
            $broker->stop();
        }
    }
}
